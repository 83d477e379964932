"""What both ends of the wire must agree on: signals, handshake, codec and links. No vision, no files, no threads."""
