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

    private final Process process;
    private byte[] rest = {};
    private boolean ended;

    Session(Process process) {
      this.process = process;
      Thread.ofVirtual().name("sol-output").start(this::pump);
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

    @Override
    public void write(byte[] input) throws IOException {
      OutputStream stream = process.getOutputStream();
      stream.write(input);
      stream.flush();
    }

    /** The end of its input makes ipmitool hand the session back to the BMC; then it is killed. */
    @Override
    public void close() throws IOException {
      try {
        process.getOutputStream().close();
        if (!process.waitFor(2, TimeUnit.SECONDS)) {
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
