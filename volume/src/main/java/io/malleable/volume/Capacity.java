package io.malleable.volume;

/**
 * Space of a store.
 *
 * @param totalBytes what the storage below could hold in all
 * @param availableBytes what can still be written
 * @param allocatedBytes what this store's volumes occupy
 */
public record Capacity(long totalBytes, long availableBytes, long allocatedBytes) {}
