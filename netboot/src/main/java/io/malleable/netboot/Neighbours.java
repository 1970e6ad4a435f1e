package io.malleable.netboot;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Which hardware address the kernel talks to for an address of this link. Better evidence than what
 * a machine says of itself, though a hostile one can forge frames too.
 */
@FunctionalInterface
interface Neighbours {
  /** Empty when the address is behind a router, not IPv4, or not known. */
  Optional<MacAddress> find(InetAddress address);

  /** The kernel's table for IPv4. */
  static Neighbours ofKernel() {
    return address -> {
      try {
        String table = Files.readString(Path.of("/proc/net/arp"), StandardCharsets.US_ASCII);
        return find(table, address.getHostAddress());
      } catch (IOException e) {
        System.getLogger(Neighbours.class.getName())
            .log(Level.DEBUG, "no neighbour table: {0}", e.getMessage());
        return Optional.empty();
      }
    };
  }

  /** Lines are: address, hardware type, flags, hardware address, mask, device; 2 is complete. */
  static Optional<MacAddress> find(String table, String address) {
    return table
        .lines()
        .map(line -> line.split("\\s+", -1))
        .filter(field -> field.length >= 4 && field[0].equals(address))
        .filter(field -> field[2].endsWith("2") || field[2].endsWith("6"))
        .findFirst()
        .flatMap(field -> MacAddress.parse(field[3]));
  }
}
