"""What is read from the record of a solve: states between the steps, and estimates."""
