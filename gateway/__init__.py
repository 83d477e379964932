"""The inspection station: control process, vision workers and what they share."""
