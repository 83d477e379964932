"""The other end of the wire: simulated PLCs, parts and faults."""
