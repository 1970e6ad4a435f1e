package io.malleable.iscsi;

/**
 * Figures of a server at one moment.
 *
 * @param connections open now, logged in or not
 * @param authenticationFailures refused logins since the start: wrong secret, or not allowed
 * @param bufferBytes direct memory lent to busy connections now
 */
public record ServerCounters(int connections, long authenticationFailures, long bufferBytes) {}
