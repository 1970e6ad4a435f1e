package io.malleable.control;

/**
 * An image or a snapshot that something builds on.
 *
 * @param project name of its owner
 */
public record Ancestor(Ref ref, String project) {}
