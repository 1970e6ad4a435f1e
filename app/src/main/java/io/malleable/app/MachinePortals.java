package io.malleable.app;

import io.malleable.netboot.Portal;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.InterfaceAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Which portal a booting machine is told: the one in its own network, so that storage stays in the
 * network that it was given; the first one for a machine behind a router, and where there is no
 * other.
 */
final class MachinePortals {
  private record Place(Portal portal, InetAddress address, OptionalInt prefixBits) {}

  /** How many bits of an address of ours name its network; empty when no interface has it. */
  interface Networks {
    OptionalInt prefixBits(InetAddress own);
  }

  private final List<Place> places;

  private MachinePortals(List<Place> places) {
    this.places = places;
  }

  /**
   * With the networks of this host.
   *
   * @param portals as they are bound
   */
  static MachinePortals of(List<InetSocketAddress> portals) {
    return of(portals, MachinePortals::prefixBits);
  }

  static MachinePortals of(List<InetSocketAddress> portals, Networks networks) {
    return new MachinePortals(
        portals.stream()
            .map(at -> new Place(portal(at), at.getAddress(), networks.prefixBits(at.getAddress())))
            .toList());
  }

  /**
   * A machine that fetched its script from a host finds a portal that listens everywhere there, and
   * so does a guest of this host whose loopback is another.
   */
  private static Portal portal(InetSocketAddress at) {
    InetAddress address = at.getAddress();
    return address.isAnyLocalAddress() || address.isLoopbackAddress()
        ? Portal.sameHost(at.getPort())
        : new Portal(Optional.of(address), at.getPort());
  }

  private static OptionalInt prefixBits(InetAddress own) {
    try {
      NetworkInterface card = NetworkInterface.getByInetAddress(own);
      return card == null
          ? OptionalInt.empty()
          : card.getInterfaceAddresses().stream()
              .filter(address -> address.getAddress().equals(own))
              .mapToInt(InterfaceAddress::getNetworkPrefixLength)
              .findFirst();
    } catch (SocketException e) {
      System.getLogger(MachinePortals.class.getName())
          .log(System.Logger.Level.WARNING, "the network of " + own + " cannot be read", e);
      return OptionalInt.empty();
    }
  }

  /** The one for a machine with this address. */
  Portal of(InetAddress machine) {
    return places.stream()
        .filter(place -> isNeighbour(place, machine))
        .findFirst()
        .orElse(places.getFirst())
        .portal();
  }

  private static boolean isNeighbour(Place place, InetAddress machine) {
    byte[] ours = place.address().getAddress();
    byte[] theirs = machine.getAddress();
    if (place.prefixBits().isEmpty() || ours.length != theirs.length) {
      return false;
    }
    int bits = place.prefixBits().getAsInt();
    for (int i = 0; i < ours.length; i++) {
      int left = Math.clamp(bits - 8 * i, 0, 8);
      int mask = 0xff << (8 - left) & 0xff;
      if (((ours[i] ^ theirs[i]) & mask) != 0) {
        return false;
      }
    }
    return true;
  }
}
