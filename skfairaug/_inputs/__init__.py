"""What comes in: kinds of rows behind one interface, labels, groups, nets, every check."""
