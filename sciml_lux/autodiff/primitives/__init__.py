"""What is read from the equations of a program."""
