"""What a pipeline costs and how fast it is: counted operations, limits of this machine, times beside other programs."""
