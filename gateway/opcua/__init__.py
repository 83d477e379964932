"""The OPC UA processes: they serve the boards of the stations through protocols.opcua."""
