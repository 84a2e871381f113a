"""What a pipeline costs and how fast it is: counted operations, this machine's limits, and times beside other programs."""
