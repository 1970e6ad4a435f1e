package io.malleable.netboot;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.OptionalInt;

/**
 * A datagram socket of Linux for what the JDK's cannot do: be bound to one interface, which is the
 * only way to say where a broadcast goes, and speak ICMPv6. Received by one thread; sent from any.
 */
final class LinuxSocket implements AutoCloseable {
  static final int AF_INET = 2;
  static final int AF_INET6 = 10;
  static final int SOCK_DGRAM = 2;
  static final int SOCK_RAW = 3;

  static final int SOL_SOCKET = 1;
  static final int SO_REUSEADDR = 2;
  static final int SO_BROADCAST = 6;
  static final int SO_RCVBUF = 8;

  private static final int SO_RCVTIMEO = 20;
  private static final int SO_BINDTODEVICE = 25;
  private static final int SOCK_CLOEXEC = 0x80000;

  private static final int EINTR = 4;
  private static final int EAGAIN = 11;

  private static final int MAX_DATAGRAM_BYTES = 65_536;

  /** sockaddr_in6 is the largest that is used here. */
  static final int MAX_ADDRESS_BYTES = 28;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final StructLayout CALL_STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      CALL_STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

  private static final MethodHandle SOCKET =
      function("socket", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
  private static final MethodHandle SETSOCKOPT =
      function(
          "setsockopt",
          FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
  private static final MethodHandle BIND =
      function("bind", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
  private static final MethodHandle RECVFROM =
      function(
          "recvfrom",
          FunctionDescriptor.of(
              JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS));
  private static final MethodHandle SENDTO =
      function(
          "sendto",
          FunctionDescriptor.of(
              JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));
  private static final MethodHandle CLOSE =
      function("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
  private static final MethodHandle STRERROR =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("strerror"), FunctionDescriptor.of(ADDRESS, JAVA_INT));

  private final int descriptor;
  private final Arena arena = Arena.ofShared();

  /** Of the receiving thread. */
  private final MemorySegment buffer = arena.allocate(MAX_DATAGRAM_BYTES, 8);

  private final MemorySegment source = arena.allocate(MAX_ADDRESS_BYTES, 8);
  private final MemorySegment sourceLength = arena.allocate(JAVA_INT);
  private final MemorySegment receiveState = arena.allocate(CALL_STATE);

  private LinuxSocket(int descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Opens a socket on one interface. It gives up waiting for a datagram after a quarter of a
   * second, so that its thread can look whether it shall end.
   *
   * @throws IOException when privileges are missing or there is no such interface; says which
   */
  static LinuxSocket open(int domain, int type, int protocol, String interfaceName)
      throws IOException {
    int descriptor;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment state = call.allocate(CALL_STATE);
      descriptor = (int) SOCKET.invokeExact(state, domain, type | SOCK_CLOEXEC, protocol);
      if (descriptor < 0) {
        throw failure("open a socket", state);
      }
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable impossible) {
      throw new AssertionError(impossible);
    }
    LinuxSocket socket = new LinuxSocket(descriptor);
    try {
      socket.setOption(
          SOL_SOCKET,
          SO_BINDTODEVICE,
          interfaceName.getBytes(StandardCharsets.US_ASCII),
          "bind to interface " + interfaceName);
      byte[] quarterSecond =
          ByteBuffer.allocate(16).order(ByteOrder.nativeOrder()).putLong(8, 250_000).array();
      socket.setOption(SOL_SOCKET, SO_RCVTIMEO, quarterSecond, "set the receive time limit");
    } catch (IOException | RuntimeException e) {
      socket.close();
      throw e;
    }
    return socket;
  }

  void setOption(int level, int name, int value) throws IOException {
    byte[] octets = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder()).putInt(value).array();
    setOption(level, name, octets, "set socket option " + level + "/" + name);
  }

  void setOption(int level, int name, byte[] value, String what) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment state = call.allocate(CALL_STATE);
      MemorySegment octets = call.allocate(value.length, 8).copyFrom(MemorySegment.ofArray(value));
      int result =
          (int) SETSOCKOPT.invokeExact(state, descriptor, level, name, octets, value.length);
      if (result != 0) {
        throw failure(what, state);
      }
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable impossible) {
      throw new AssertionError(impossible);
    }
  }

  /** Binds to a port of every IPv4 address. */
  void bindIpv4(int port) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment state = call.allocate(CALL_STATE);
      byte[] address = addressIpv4(Ipv4.ANY, port);
      MemorySegment octets =
          call.allocate(address.length, 8).copyFrom(MemorySegment.ofArray(address));
      int result = (int) BIND.invokeExact(state, descriptor, octets, address.length);
      if (result != 0) {
        throw failure("bind to UDP port " + port, state);
      }
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable impossible) {
      throw new AssertionError(impossible);
    }
  }

  /**
   * Waits for a datagram for at most a quarter of a second.
   *
   * @param from receives the sender's address as the kernel writes it
   * @return its length in octets, cut off at the buffer's; empty when none came
   */
  OptionalInt receive(ByteBuffer into, byte[] from) throws IOException {
    long length;
    try {
      sourceLength.set(JAVA_INT, 0, MAX_ADDRESS_BYTES);
      length =
          (long)
              RECVFROM.invokeExact(
                  receiveState,
                  descriptor,
                  buffer,
                  (long) Math.min(into.capacity(), MAX_DATAGRAM_BYTES),
                  0,
                  source,
                  sourceLength);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable impossible) {
      throw new AssertionError(impossible);
    }
    if (length < 0) {
      int errno = (int) ERRNO.get(receiveState, 0L);
      if (errno == EAGAIN || errno == EINTR) {
        return OptionalInt.empty();
      }
      throw failure("receive", receiveState);
    }
    into.clear();
    into.put(0, buffer.asSlice(0, length).asByteBuffer(), 0, (int) length);
    into.limit((int) length);
    MemorySegment.copy(
        source, 0, MemorySegment.ofArray(from), 0, Math.min(from.length, MAX_ADDRESS_BYTES));
    return OptionalInt.of((int) length);
  }

  /**
   * Sends one datagram.
   *
   * @param address as the kernel reads it
   */
  void send(byte[] datagram, byte[] address) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment state = call.allocate(CALL_STATE);
      MemorySegment octets =
          call.allocate(datagram.length, 8).copyFrom(MemorySegment.ofArray(datagram));
      MemorySegment to = call.allocate(address.length, 8).copyFrom(MemorySegment.ofArray(address));
      long sent =
          (long)
              SENDTO.invokeExact(
                  state, descriptor, octets, (long) datagram.length, 0, to, address.length);
      if (sent != datagram.length) {
        throw failure("send", state);
      }
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable impossible) {
      throw new AssertionError(impossible);
    }
  }

  /** Only after the receiving thread has ended. */
  @Override
  public void close() throws IOException {
    try (arena) {
      MemorySegment state = arena.allocate(CALL_STATE);
      int result = (int) CLOSE.invokeExact(state, descriptor);
      if (result != 0) {
        throw failure("close", state);
      }
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable impossible) {
      throw new AssertionError(impossible);
    }
  }

  /** {@code struct sockaddr_in}. */
  static byte[] addressIpv4(Ipv4 address, int port) {
    ByteBuffer octets = ByteBuffer.allocate(16);
    octets.order(ByteOrder.nativeOrder()).putShort(0, (short) AF_INET);
    octets.order(ByteOrder.BIG_ENDIAN).putShort(2, (short) port).putInt(4, address.value());
    return octets.array();
  }

  private static IOException failure(String what, MemorySegment state) {
    int errno = (int) ERRNO.get(state, 0L);
    String text;
    try {
      MemorySegment message = (MemorySegment) STRERROR.invokeExact(errno);
      text = message.reinterpret(256).getString(0);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable impossible) {
      throw new AssertionError(impossible);
    }
    return new IOException("cannot " + what + ": " + text);
  }

  private static MethodHandle function(String name, FunctionDescriptor type) {
    return LINKER.downcallHandle(
        LINKER.defaultLookup().findOrThrow(name), type, Linker.Option.captureCallState("errno"));
  }
}
