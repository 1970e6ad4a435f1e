package io.malleable.netboot;

import java.net.InetAddress;

/**
 * Knows the machines. Called from many threads at once, once per script that is asked for; an
 * answer must not depend on how many machines there are.
 */
@FunctionalInterface
public interface BootDirectory {
  /**
   * What a machine shall do now.
   *
   * @param from where it asks from; the portals of the plan are those that it can reach from there
   */
  BootPlan planFor(MacAddress mac, InetAddress from);
}
