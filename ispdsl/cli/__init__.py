"""The command line, one file for each family of commands; what starts slowly is imported where it is used."""
