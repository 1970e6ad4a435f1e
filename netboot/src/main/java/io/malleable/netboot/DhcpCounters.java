package io.malleable.netboot;

/**
 * What a DHCP server has seen since it started, in messages.
 *
 * @param strangers from machines that are not ours, left unanswered
 * @param throttled from machines that sent far more than a boot needs
 * @param exhausted left unanswered because no address was left, or the node's own cannot be given
 *     now
 */
public record DhcpCounters(
    long received, long answered, long malformed, long strangers, long throttled, long exhausted) {}
