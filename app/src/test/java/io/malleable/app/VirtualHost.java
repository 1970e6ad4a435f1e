package io.malleable.app;

import io.malleable.lab.TinyImage;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A virtual machine in which the server runs: this build on this Java, on the kernel of the small
 * image and an ext4 file system. Its drive keeps what the kernel has sent there when the machine is
 * reset, and nothing else is kept. Clients are outside and reach it on loopback.
 */
final class VirtualHost implements AutoCloseable {
  /** Beside the data directory, for an import. */
  static final String IMAGE_IN_HOST = "/image.raw";

  private static final Duration SILENCE_LIMIT = Duration.ofMinutes(5);
  private static final Pattern READY = Pattern.compile("m2 status");
  private static final Pattern TOKEN = Pattern.compile("M2 TOKEN ([^\\r\\n]+)");
  private static final int HTTP = 8080;
  private static final int ISCSI = 3260;

  /** Where {@code tiny/build} puts the root file system. */
  private static final long ROOT_BYTES = 20480L * 512;

  private static final int DRIVE_MIB = 1536;

  /** What runs before the drive is there; ext4 and NVMe are in the kernel. */
  private static final String INITRAMFS_INIT =
      """
      #!/bin/sh
      export PATH=/bin:/sbin
      mount -t devtmpfs dev /dev && mount -t proc proc /proc && mount -t sysfs sys /sys
      while read -r module; do insmod "/lib/modules/$module" 2>/dev/null; done </lib/modules/order
      ip link set lo up && ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0
      mount -t ext4 /dev/nvme0n1 /mnt || echo "M2 HOST has no drive"
      for each in dev proc sys; do mount -o move /$each /mnt/$each; done
      exec switch_root /mnt /sbin/init
      """;

  /** The server, started again whenever it ends; a line on the console kills it. */
  private static final String INIT =
      """
      #!/bin/sh
      export PATH=/bin:/sbin
      mount -t tmpfs tmp /tmp
      while read -r line; do killall -9 java; done </dev/ttyS0 &
      { until [ -s /data/admin-token ]; do usleep 100000; done; echo "M2 TOKEN $(cat /data/admin-token)"; } >/dev/ttyS0 &
      while :; do
        /jdk/bin/java --enable-native-access=ALL-UNNAMED -XX:TieredStopAtLevel=1 -Xmx400m -cp "$(cat /m2/class-path)" \\
          io.malleable.app.Main serve --data /data --http 0.0.0.0:8080 --boot-http 0.0.0.0:8081 --iscsi 0.0.0.0:3260 >/dev/ttyS0 2>&1
      done
      """;

  /** Makes kernel, initial RAM disk and drive in a directory, as an ordinary user. */
  private static final String BUILD =
      """
      tiny=$1 java=$2 class_path=$3 size=$4
      debugfs -R "dump /boot/vmlinuz $PWD/vmlinuz" "$tiny" 2>/dev/null
      debugfs -R "dump /boot/initrd $PWD/initrd.tiny" "$tiny" 2>/dev/null
      mkdir initramfs && (cd initramfs && zstd -qdc ../initrd.tiny | cpio -idm --quiet)
      cp -a initramfs host
      install -m 755 initramfs-init initramfs/init
      (cd initramfs && find . | sort | cpio --quiet -o -H newc -R 0:0) | zstd -q >initrd
      mkdir -p host/jdk host/m2 host/data
      cp -a "$java"/{bin,lib,conf,release} host/jdk/
      # What Java is linked to. The small image has an older or the same C library, which its programs do not miss.
      ldd "$java/bin/java" "$java/lib/libnet.so" "$java/lib/server/libjvm.so" | sed -n 's/.* => \\(\\/[^ ]*\\) .*/\\1/p' | sort -u |
        while read -r library; do case $library in */jdk/* | "$java"/*) ;; *) cp -L "$library" host/lib/x86_64-linux-gnu/ ;; esac; done
      cp -L /lib64/ld-linux-x86-64.so.2 host/lib64/
      n=0
      IFS=:
      for each in $class_path; do
        n=$((n + 1))
        if [ -d "$each" ]; then cp -r "$each" "host/m2/$n"; printf '/m2/%s:' "$n"; fi
        if [ -f "$each" ]; then cp "$each" "host/m2/$n.jar"; printf '/m2/%s.jar:' "$n"; fi
      done >class-path
      mv class-path host/m2/
      cp image.raw host/image.raw
      install -m 755 init host/sbin/init
      mke2fs -q -t ext4 -d host drive "$size"m
      rm -rf host initramfs
      """;

  private final Path directory;
  private final Process machine;
  private final int http;
  private final int iscsi;

  private VirtualHost(Path directory, Process machine, int http, int iscsi) {
    this.directory = directory;
    this.machine = machine;
    this.http = http;
    this.iscsi = iscsi;
  }

  /**
   * Makes it and starts it.
   *
   * @param directory empty; its path must be short, for sockets
   * @param image is put into the host as {@link #IMAGE_IN_HOST}
   */
  static VirtualHost start(Path directory, byte[] image) throws Exception {
    Path tiny =
        new TinyImage(TinyImage.defaultCache(System.getenv()), System.getenv())
            .build((_, _, _) -> {});
    Files.write(directory.resolve("image.raw"), image);
    Files.writeString(directory.resolve("initramfs-init"), INITRAMFS_INIT);
    Files.writeString(directory.resolve("init"), INIT);
    build(
        directory,
        tiny + "?offset=" + ROOT_BYTES,
        System.getProperty("java.home"),
        System.getProperty("java.class.path"),
        Integer.toString(DRIVE_MIB));
    int http = freePort();
    int iscsi = freePort();
    Process machine =
        new ProcessBuilder(qemu(http, iscsi))
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("qemu.log").toFile())
            .start();
    VirtualHost host = new VirtualHost(directory, machine, http, iscsi);
    try {
      host.await(READY, 0);
      return host;
    } catch (AssertionError | IOException e) {
      host.close();
      throw e;
    }
  }

  private static void build(Path directory, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("bash", "-euc", BUILD, "virtual-host"));
    command.addAll(List.of(arguments));
    ProcessBuilder builder =
        new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true);
    builder.environment().merge("PATH", ":/usr/sbin:/sbin", String::concat);
    Process process = builder.start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new AssertionError("the host cannot be made: " + said);
    }
  }

  private static List<String> qemu(int http, int iscsi) {
    String forward = ",hostfwd=tcp:127.0.0.1:%d-:%d";
    List<String> argv = new ArrayList<>();
    argv.addAll(List.of("qemu-system-x86_64", "-machine", "q35,graphics=off", "-cpu", "max"));
    argv.addAll(List.of("-accel", "tcg,thread=multi", "-m", "1024", "-smp", "2"));
    argv.addAll(List.of("-nodefaults", "-no-user-config", "-display", "none"));
    argv.addAll(List.of("-kernel", "vmlinuz", "-initrd", "initrd"));
    argv.addAll(
        List.of(
            "-append", "console=ttyS0 quiet loglevel=4 panic=10 net.ifnames=0 mitigations=off"));
    argv.addAll(List.of("-drive", "file=drive,if=none,id=drive,format=raw,cache=writeback"));
    argv.addAll(List.of("-device", "nvme,drive=drive,serial=m2", "-device", "virtio-rng-pci"));
    argv.addAll(
        List.of(
            "-netdev",
            "user,id=net" + forward.formatted(http, HTTP) + forward.formatted(iscsi, ISCSI)));
    argv.addAll(List.of("-device", "virtio-net-pci,netdev=net,romfile="));
    argv.addAll(
        List.of(
            "-chardev",
            "socket,id=serial,server=on,wait=off,path=serial.sock,logfile=console.log",
            "-serial",
            "chardev:serial"));
    argv.addAll(List.of("-qmp", "unix:qmp.sock,server=on,wait=off"));
    return argv;
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  /** Where targets are reached from outside. */
  InetSocketAddress iscsi() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), iscsi);
  }

  TestApi api() throws IOException, InterruptedException {
    Matcher token = await(TOKEN, 0);
    return new TestApi("http://127.0.0.1:" + http, token.group(1));
  }

  /** Cuts the power and gives it back; returns when the server is ready again. */
  void cutPower() throws IOException {
    int before = console().length();
    try (SocketChannel monitor = connect("qmp.sock")) {
      // It says who it is, and takes commands after that.
      monitor.read(ByteBuffer.allocate(4096));
      write(monitor, "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"system_reset\"}\n");
      awaitReset(before);
    }
    await(READY, before);
  }

  private void awaitReset(int before) throws IOException {
    // The firmware's first words; the monitor must not be closed before they are there.
    await(Pattern.compile("SeaBIOS"), before);
  }

  /** Kills the server's process; returns when the next one is ready. */
  void killServer() throws IOException {
    int before = console().length();
    try (SocketChannel serial = connect("serial.sock")) {
      // The console's output comes here too; unread, it would stop the machine when it fills up.
      Thread.startVirtualThread(() -> drain(serial));
      write(serial, "kill\n");
      await(READY, before);
    }
  }

  private static void drain(SocketChannel unwanted) {
    ByteBuffer bytes = ByteBuffer.allocate(4096);
    try {
      while (unwanted.read(bytes) >= 0) {
        bytes.clear();
      }
    } catch (IOException e) {
      // Closed, which ends it.
    }
  }

  private SocketChannel connect(String socket) throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    channel.connect(UnixDomainSocketAddress.of(directory.resolve(socket)));
    return channel;
  }

  private static void write(SocketChannel channel, String text) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII));
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private Matcher await(Pattern pattern, int from) throws IOException {
    Patience patience = new Patience(SILENCE_LIMIT);
    int length = -1;
    while (true) {
      String console = console();
      Matcher matcher = pattern.matcher(console);
      if (matcher.find(from)) {
        return matcher;
      }
      if (console.length() != length) {
        length = console.length();
        patience.renew();
      }
      if (!machine.isAlive() || !patience.waitOn()) {
        throw new AssertionError(
            "the host never wrote %s; QEMU: %s; its console:%n%s"
                .formatted(pattern, Files.readString(directory.resolve("qemu.log")), tail()));
      }
    }
  }

  private String console() throws IOException {
    Path log = directory.resolve("console.log");
    return Files.exists(log) ? Files.readString(log, StandardCharsets.ISO_8859_1) : "";
  }

  /** The end of what it wrote to its console, which has what the server said. */
  String tail() throws IOException {
    String console = console();
    return console.substring(Math.max(0, console.length() - 4000));
  }

  @Override
  public void close() {
    machine.destroyForcibly().onExit().join();
  }
}
