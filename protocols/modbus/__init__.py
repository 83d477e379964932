"""The contract on Modbus: register map, framing, server and client link."""
