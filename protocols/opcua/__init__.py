"""OPC UA: the server, its faces and its clients. The control process uses the settings and pure tables alone."""
