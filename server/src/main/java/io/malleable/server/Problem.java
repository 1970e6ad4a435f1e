package io.malleable.server;

import org.jspecify.annotations.Nullable;

/**
 * An RFC 9457 problem. {@code code} tells problems apart, so {@code type} is always the default.
 */
record Problem(
    String type,
    String title,
    int status,
    String detail,
    String code,
    @Nullable String field,
    @Nullable String value,
    @Nullable String hint) {}
