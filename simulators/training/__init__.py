"""Trains the demo model on rendered parts; needs torch, which nothing else here does."""
