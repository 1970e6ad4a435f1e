package io.malleable.hardware;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The serial console through IPMI's Serial over LAN. A BMC has one such session; a second one is
 * refused until the first is closed.
 */
final class SolConsole implements NodeConsole {
  /** What the session prints before the machine's own output. */
  private static final String READY = "[SOL Session operational.";

  private static final int MAX_BANNER_BYTES = 16 * 1024;
  private static final int TYPED_CHUNKS = 64;
  private static final int TYPED_CHUNK_BYTES = 1024;

  /** Even 9600 baud takes a chunk in a second. */
  private static final Duration TYPING_LIMIT = Duration.ofSeconds(5);

  private final IpmiTool tool;
  private final Duration limit;

  SolConsole(IpmiTool tool, Duration limit) {
    this.tool = tool;
    this.limit = limit;
  }

  @Override
  public ConsoleSession open(int tailBytes) throws IOException {
    Session session = new Session(tool.startSession("sol", "activate"));
    try {
      session.awaitReady(tool, limit);
      return session;
    } catch (IOException | RuntimeException e) {
      session.close();
      throw e;
    }
  }

  private static final class Session implements ConsoleSession {
    /** A reader that is too slow holds up the pipe, and so the BMC, not our memory. */
    private final BlockingQueue<byte[]> received = new ArrayBlockingQueue<>(64);

    /** What the BMC has not taken yet. */
    private final BlockingQueue<byte[]> typed = new ArrayBlockingQueue<>(TYPED_CHUNKS);

    private final Process process;
    private byte[] rest = {};
    private boolean ended;

    Session(Process process) {
      this.process = process;
      Thread.ofVirtual().name("sol-output").start(this::pump);
      Thread.ofVirtual().name("sol-input").start(this::type);
    }

    /** An empty array marks the end. */
    private void pump() {
      byte[] buffer = new byte[4096];
      try (InputStream stream = process.getInputStream()) {
        int count;
        while ((count = stream.read(buffer)) > 0) {
          received.put(Arrays.copyOf(buffer, count));
        }
        received.put(new byte[0]);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } catch (IOException e) {
        // Closed by us, or the process died: both end the session.
        if (!received.offer(new byte[0])) {
          process.destroyForcibly();
        }
      }
    }

    void awaitReady(IpmiTool tool, Duration limit) throws IOException {
      StringBuilder banner = new StringBuilder();
      long deadlineNanos = System.nanoTime() + limit.toNanos();
      byte[] buffer = new byte[4096];
      while (banner.length() < MAX_BANNER_BYTES) {
        int count = read(buffer, Duration.ofNanos(deadlineNanos - System.nanoTime()));
        if (count == 0) {
          throw new PowerException(
              PowerException.Kind.UNREACHABLE,
              "the BMC " + tool.name() + " has not opened the console in time",
              "check its address, and that Serial over LAN is enabled");
        }
        if (count < 0) {
          throw refusal(tool, banner.toString());
        }
        banner.append(new String(buffer, 0, count, StandardCharsets.ISO_8859_1));
        int ready = banner.indexOf(READY);
        int lineEnd = ready < 0 ? -1 : banner.indexOf("\n", ready);
        if (lineEnd >= 0) {
          byte[] after = banner.substring(lineEnd + 1).getBytes(StandardCharsets.ISO_8859_1);
          byte[] both = Arrays.copyOf(after, after.length + rest.length);
          System.arraycopy(rest, 0, both, after.length, rest.length);
          rest = both;
          return;
        }
      }
      throw refusal(tool, banner.toString());
    }

    private static PowerException refusal(IpmiTool tool, String text) {
      if (text.contains("already active")) {
        return new PowerException(
            PowerException.Kind.REFUSED,
            "somebody else has the console of " + tool.name() + " open",
            "close it there, or end it with: ipmitool ... sol deactivate");
      }
      return tool.failure(text);
    }

    @Override
    public int read(byte[] into, Duration timeout) throws IOException {
      if (rest.length == 0 && !ended) {
        try {
          byte[] next = received.poll(Math.max(0, timeout.toNanos()), TimeUnit.NANOSECONDS);
          if (next == null) {
            return 0;
          }
          ended = next.length == 0;
          rest = next;
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new InterruptedIOException("interrupted at the console");
        }
      }
      if (rest.length == 0) {
        return -1;
      }
      int count = Math.min(into.length, rest.length);
      System.arraycopy(rest, 0, into, 0, count);
      rest = Arrays.copyOfRange(rest, count, rest.length);
      return count;
    }

    /**
     * Writing to a program that does not read blocks, and closing its input then as well: only this
     * thread does either. An empty array makes it end.
     */
    private void type() {
      try (OutputStream stream = process.getOutputStream()) {
        for (byte[] input = typed.take(); input.length > 0; input = typed.take()) {
          stream.write(input);
          stream.flush();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } catch (IOException e) {
        // The program died, which the output's end tells.
      }
    }

    @Override
    public void write(byte[] input) throws IOException {
      for (int at = 0; at < input.length; at += TYPED_CHUNK_BYTES) {
        int end = Math.min(input.length, at + TYPED_CHUNK_BYTES);
        try {
          if (!typed.offer(
              Arrays.copyOfRange(input, at, end), TYPING_LIMIT.toSeconds(), TimeUnit.SECONDS)) {
            throw new IOException("the BMC does not take what is typed");
          }
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new InterruptedIOException("interrupted at the console");
        }
        if (!process.isAlive()) {
          throw new IOException("the console has ended");
        }
      }
    }

    /** The end of its input makes ipmitool hand the session back to the BMC; then it is killed. */
    @Override
    public void close() {
      try {
        if (!typed.offer(new byte[0]) || !process.waitFor(2, TimeUnit.SECONDS)) {
          process.destroyForcibly();
        }
      } catch (InterruptedException e) {
        process.destroyForcibly();
        Thread.currentThread().interrupt();
      } finally {
        process.destroy();
        received.clear();
      }
    }
  }
}
