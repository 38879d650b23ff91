"""Pre-trained language models: where one is, fetching it, loading it, and sharing it between the jobs of a process."""
