package io.malleable.lab;

import java.io.OutputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * The last lines of a serial console as text: without cursor movements, colours and what was rubbed
 * out. One thread writes, others may read.
 */
final class ConsoleTail extends OutputStream {
  private static final int MAX_LINES = 200;
  private static final int MAX_LINE_CHARS = 240;
  private static final int ESC = 0x1b;

  /** Where in an escape sequence of ECMA-48 the input is. */
  private enum Escape {
    NONE,
    STARTED,
    CONTROL_SEQUENCE
  }

  private final Deque<String> lines = new ArrayDeque<>();
  private final StringBuilder line = new StringBuilder();
  private Escape escape = Escape.NONE;
  private long lineCount;

  @Override
  public synchronized void write(byte[] bytes, int offset, int length) {
    for (int i = offset; i < offset + length; i++) {
      write(bytes[i]);
    }
  }

  @Override
  public synchronized void write(int value) {
    int octet = value & 0xff;
    if (escape != Escape.NONE) {
      escape = afterEscape(octet);
      return;
    }
    switch (octet) {
      case ESC -> escape = Escape.STARTED;
      case '\n' -> endLine();
      case '\b' -> line.setLength(Math.max(0, line.length() - 1));
      case '\t' -> append(' ');
      default -> {
        // Carriage returns too: they come with the line feed, or before a line that is drawn again.
        if (octet >= ' ' && octet != 0x7f) {
          append(octet < 0x7f ? (char) octet : '?');
        }
      }
    }
  }

  /** The last lines that are not empty, the unfinished one included. */
  synchronized List<String> last(int count) {
    List<String> all = new ArrayList<>(lines);
    if (!line.toString().isBlank()) {
      all.add(line.toString());
    }
    return List.copyOf(all.subList(Math.max(0, all.size() - count), all.size()));
  }

  /** Grows with each line that ends. */
  synchronized long lineCount() {
    return lineCount;
  }

  private Escape afterEscape(int octet) {
    if (escape == Escape.STARTED) {
      return octet == '[' ? Escape.CONTROL_SEQUENCE : Escape.NONE;
    }
    // Parameter and intermediate bytes go on; a final byte, or what does not belong there, ends it.
    return octet >= 0x20 && octet < 0x40 ? Escape.CONTROL_SEQUENCE : Escape.NONE;
  }

  private void append(char character) {
    if (line.length() < MAX_LINE_CHARS) {
      line.append(character);
    }
  }

  private void endLine() {
    String text = line.toString().strip();
    line.setLength(0);
    if (text.isEmpty()) {
      return;
    }
    lineCount++;
    lines.addLast(text);
    if (lines.size() > MAX_LINES) {
      lines.removeFirst();
    }
  }
}
