"""What bench/run is made of: processes, servers, load, figures, and one module per kind of case."""
