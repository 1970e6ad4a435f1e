package io.malleable.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConsoleTailTest {
  private final ConsoleTail console = new ConsoleTail();

  @Test
  void coloursAndCursorMovementsAreNoText() {
    write("\u001b[0;30;47mWelcome to GRUB!\u001b[0m\r\n\u001b[2J\u001b[1;1H\u001bcM2 READY\r\n");
    assertEquals(List.of("Welcome to GRUB!", "M2 READY"), console.last(5));
  }

  @Test
  void whatWasRubbedOutIsGone() {
    write("Press Ctrl-B...\b\b\bnet0\r\n");
    assertEquals(List.of("Press Ctrl-Bnet0"), console.last(1));
  }

  @Test
  void unfinishedLineIsTheLast() {
    write("one\r\ntwo\r\n\r\nthr");
    assertEquals(List.of("two", "thr"), console.last(2));
    assertEquals(2, console.lineCount());
  }

  @Test
  void floodWithoutLineFeedsIsBounded() {
    for (int i = 0; i < 10_000; i++) {
      write("0123456789");
    }
    assertEquals(240, console.last(1).getFirst().length());
    for (int i = 0; i < 10_000; i++) {
      write("\n" + i);
    }
    assertEquals("9999", console.last(1).getFirst());
    assertEquals(201, console.last(Integer.MAX_VALUE).size());
  }

  private void write(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    console.write(bytes, 0, bytes.length);
  }
}
