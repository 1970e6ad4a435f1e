package io.malleable.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class SizesTest {

  @Test
  void sizesHaveThreeDigitsOrSo() {
    assertEquals("0 B", Sizes.format(0));
    assertEquals("1023 B", Sizes.format(1023));
    assertEquals("1 KiB", Sizes.format(1024));
    assertEquals("1.5 KiB", Sizes.format(1536));
    assertEquals("1 GiB", Sizes.format((1L << 30) - 1));
    assertEquals("20 GiB", Sizes.format(20L << 30));
    assertEquals("8 EiB", Sizes.format(Long.MAX_VALUE));
  }

  @Test
  void sizesAreReadWithOrWithoutUnit() {
    assertEquals(512, Sizes.parse("--size", "512"));
    assertEquals(20L << 30, Sizes.parse("--size", "20G"));
    assertEquals(20L << 30, Sizes.parse("--size", "20GiB"));
    assertEquals(3L << 20, Sizes.parse("--size", "3m"));
  }

  @Test
  void whatIsNoSizeIsRefused() {
    for (String text :
        new String[] {"", "G", "-1", "1.5G", "20X", "9000000P", "99999999999999999999"}) {
      assertThrows(CommandFailure.class, () -> Sizes.parse("--size", text), text);
    }
  }

  @Test
  void durationsAreRoughForAgesAndExactForWaiting() {
    assertEquals("59s", Times.rough(Duration.ofSeconds(59)));
    assertEquals("3h20m", Times.rough(Duration.ofMinutes(200)));
    assertEquals("4d", Times.rough(Duration.ofHours(100)));
    assertEquals("0s", Times.rough(Duration.ofSeconds(-5)), "clocks differ");
    assertEquals("0.042 s", Times.exact(Duration.ofMillis(42)));
    assertEquals("16.7 s", Times.exact(Duration.ofMillis(16_700)));
  }
}
