package io.malleable.iscsi;

import java.net.SocketAddress;
import java.time.Instant;

/**
 * A session as seen at one moment.
 *
 * @param id unique in this server's life
 * @param isid 48 bits by which the initiator tells its sessions apart
 * @param target name of the target; empty for a discovery session
 * @param readBytes data sent for commands that read the medium
 * @param writtenBytes data received by commands that write the medium
 */
public record SessionInfo(
    long id,
    String initiator,
    long isid,
    String target,
    int portalGroupTag,
    SocketAddress remoteAddress,
    Instant since,
    boolean headerDigest,
    boolean dataDigest,
    long readCommands,
    long readBytes,
    long writeCommands,
    long writtenBytes) {}
