package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class RouterAdvertiserTest {
  private static final byte[] SOLICITATION =
      HexFormat.of()
          .parseHex(
              "8500abcd00000000" // router solicitation, checksum, reserved
                  + "0e01000000000000" // nonce
                  + "0101525400770001"); // source link-layer address

  @Test
  void advertisementPromisesNothing() {
    assertArrayEquals(
        HexFormat.of()
            .parseHex(
                "86000000" // router advertisement; the kernel adds the checksum
                    + "00000000" // hop limit unspecified, no flags, router lifetime 0
                    + "0000000000000000" // no timers
                    + "0101525400ab0001"), // source link-layer address
        RouterAdvertiser.advertisement(HexFormat.of().parseHex("525400ab0001")));
    assertEquals(16, RouterAdvertiser.advertisement(new byte[0]).length);
  }

  @Test
  void senderIsFoundBehindOtherOptions() {
    assertEquals(
        MacAddress.parse("52:54:00:77:00:01"),
        RouterAdvertiser.sender(ByteBuffer.wrap(SOLICITATION)));
  }

  @Test
  void solicitationCutOffOrEndlessHasNoSender() {
    for (int length = 0; length < SOLICITATION.length; length++) {
      assertEquals(
          Optional.empty(),
          RouterAdvertiser.sender(ByteBuffer.wrap(Arrays.copyOf(SOLICITATION, length))));
    }
    byte[] endless = SOLICITATION.clone();
    endless[9] = 0; // an option of no length
    assertEquals(Optional.empty(), RouterAdvertiser.sender(ByteBuffer.wrap(endless)));
    byte[] beyond = SOLICITATION.clone();
    beyond[9] = (byte) 255;
    assertEquals(Optional.empty(), RouterAdvertiser.sender(ByteBuffer.wrap(beyond)));
  }
}
