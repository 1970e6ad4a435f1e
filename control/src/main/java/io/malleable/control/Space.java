package io.malleable.control;

import io.malleable.volume.Capacity;

/**
 * How full the store is and what sharing saves.
 *
 * @param capacity of the store
 * @param sharedBytes of what is allocated, the part that lies in images and snapshots that at least
 *     one other volume builds on
 * @param provisionedBytes virtual sizes of all disks together, what they could grow to
 */
public record Space(Capacity capacity, long sharedBytes, long provisionedBytes) {}
