"""The type model of OPC 40100-1 (Machine Vision, Part 1), built from tables. Importing this package costs nothing."""
