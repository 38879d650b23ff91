"""The mini suite: small generated tasks and bundled small PLMs, for use without network or GPU."""
