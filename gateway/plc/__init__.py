"""The engineer's tools for the PLC's side: what is known of each maker, and what is generated for it. Short-lived."""
