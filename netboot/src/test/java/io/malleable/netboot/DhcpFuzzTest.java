package io.malleable.netboot;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.nio.ByteBuffer;

/** A datagram of whoever is on the segment. Any exception but the declared one is a finding. */
class DhcpFuzzTest {
  private static final DhcpEngine ENGINE = new DhcpRig().host(1, "").engine();

  @FuzzTest(maxDuration = "")
  void anyDatagramIsAMessageOrRefused(byte[] datagram) {
    DhcpPacket packet;
    try {
      packet = DhcpCodec.decode(ByteBuffer.wrap(datagram));
    } catch (DhcpFormatException refused) {
      return;
    }
    DhcpClient.of(packet);
    packet.options().relayAddress(5);
    ENGINE.onServerPort(packet).ifPresent(reply -> DhcpCodec.encode(reply.packet()));
    ENGINE.onProxyPort(packet).ifPresent(DhcpCodec::encode);
  }
}
