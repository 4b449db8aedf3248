"""The sweep: random walks with other values over the affinities and CAMs of a study, without any network."""
