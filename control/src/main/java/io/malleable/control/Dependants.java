package io.malleable.control;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;

/** What lives on an image or a snapshot. Used within the transaction that wants to know. */
final class Dependants {
  /** How many of them a refusal names. */
  static final int NAMED = 20;

  private Dependants() {}

  /**
   * Checks that nothing lives on the volume.
   *
   * @throws ControlException with that code, saying what does
   */
  static void requireNone(Rows rows, UUID project, Ref volume, ErrorCode code, String hint) {
    List<Rows.Dependant> found = rows.dependants(volume.id(), NAMED + 1);
    if (!found.isEmpty()) {
      throw ControlException.of(
          code, "These depend on the " + volume + ": " + text(found, project) + ".", hint);
    }
  }

  /** The project's own by name; of others only how many, because their names are theirs. */
  static String text(List<Rows.Dependant> found, UUID project) {
    List<String> parts = new ArrayList<>();
    Map<String, Integer> others = new TreeMap<>();
    for (Rows.Dependant dependant : found.subList(0, Math.min(NAMED, found.size()))) {
      if (dependant.projectId().equals(project)) {
        parts.add(dependant.ref().toString());
      } else {
        String kind = dependant.ref().kind().word() + "(s) of the project '";
        others.merge(kind + dependant.project() + "'", 1, Integer::sum);
      }
    }
    others.forEach((what, number) -> parts.add(number + " " + what));
    if (found.size() > NAMED) {
      parts.add("and more");
    }
    return String.join(", ", parts);
  }

  /**
   * All that lives on the volume, directly or not. Each comes after whatever lives on it, so that
   * it can be deleted in this order. One more than the limit when there are more.
   */
  static List<Rows.Dependant> tree(Rows rows, UUID volume, int limit) {
    List<Rows.Dependant> found = new ArrayList<>();
    Deque<UUID> open = new ArrayDeque<>(List.of(volume));
    while (!open.isEmpty() && found.size() <= limit) {
      for (Rows.Dependant child : rows.dependants(open.removeFirst(), limit + 1 - found.size())) {
        found.add(child);
        open.addLast(child.ref().id());
      }
    }
    Collections.reverse(found);
    return found;
  }
}
