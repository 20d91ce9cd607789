"""What two or more of the scripts share, and what has one right answer."""
