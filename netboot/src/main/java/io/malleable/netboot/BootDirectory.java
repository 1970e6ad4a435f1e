package io.malleable.netboot;

/**
 * Knows the machines. Called from many threads at once, once per script that is asked for; an
 * answer must not depend on how many machines there are.
 */
@FunctionalInterface
public interface BootDirectory {
  /** What the machine with this address shall do now. */
  BootPlan planFor(MacAddress mac);
}
