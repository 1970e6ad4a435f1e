package io.malleable.control;

import io.malleable.volume.Capacity;

/**
 * How full the store is.
 *
 * @param capacity of the store
 * @param provisionedBytes virtual sizes of all disks together, what they could grow to
 */
public record Space(Capacity capacity, long provisionedBytes) {}
