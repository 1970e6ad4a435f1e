package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;

/** A request of whoever is on the segment. Any exception but the declared one is a finding. */
class TftpFuzzTest {
  @FuzzTest(maxDuration = "")
  void anyRequestIsReadOrRefused(byte[] datagram) {
    try {
      TftpRequest request = TftpRequest.parse(datagram, datagram.length);
      assertTrue(request.options().getOrDefault("blksize", 512L) <= 1468);
      assertTrue(request.options().getOrDefault("windowsize", 1L) <= 64);
    } catch (TftpErrorException refused) {
      assertTrue(refused.code() > 0);
    }
  }
}
