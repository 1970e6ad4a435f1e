package io.malleable.netboot;

/** An answer and where it goes. */
record DhcpReply(DhcpPacket packet, Ipv4 destination, int port) {}
