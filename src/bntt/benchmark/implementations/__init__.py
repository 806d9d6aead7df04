"""What is measured: one process runs one job and prints one line of JSON.

An implementation is a module with a class ``Network``, made of a :class:`job.Job`. It is
called with images [N, C, H, W] or input spikes [T, N, C, H, W] and returns logits [N, K];
its ``train(mode)`` chooses batch statistics or running ones; ``load`` takes the weights of
a ``state_dict`` of this package, ``weights`` lists them; ``stage`` runs one of its
``num_stages`` spiking layers by itself; ``net`` is the module that holds the parameters.
``convolutions_only`` is none: it has only passes to be timed.

Nothing here imports the rest of the package when it is loaded, so the same files run as a
top-level package in another library's environment, which holds torch and that library only.
"""
