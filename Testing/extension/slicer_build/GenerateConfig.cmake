# FedSim has no targets that other extensions could use, so there is nothing to generate.
