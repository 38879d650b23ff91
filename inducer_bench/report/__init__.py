"""Reports on many runs: grouped records, statistics, tables and figures."""
