"""The vision worker: a process of its own that turns a trigger into findings."""
