"""What `make bench` runs: each module measures one thing against the best other way to do it, and prints the ratio."""
