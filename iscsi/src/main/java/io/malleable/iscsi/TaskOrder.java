package io.malleable.iscsi;

import java.util.ArrayDeque;
import org.jspecify.annotations.Nullable;

/**
 * Which tasks of a session must wait for others of the same unit to end (SAM-5 8.6): an ordered one
 * for all before it, and all after it for the ordered one. Owned by the connection thread.
 *
 * <p>Tasks that {@link Workers} have may be among those others; they end without this thread.
 */
final class TaskOrder {
  private final CommandWindow window;
  private final Workers workers;

  /** Tasks whose data is not all here; kept by {@link DataOutTasks}. */
  private final ArrayDeque<Task> withoutData;

  /** Tasks whose data is here, or that need none, and that must wait. */
  private final ArrayDeque<Task> held = new ArrayDeque<>();

  /** Ordered tasks among both; while there is none, nobody waits for others. */
  private int orderedTasks;

  TaskOrder(CommandWindow window, Workers workers, ArrayDeque<Task> withoutData) {
    this.window = window;
    this.workers = workers;
    this.withoutData = withoutData;
  }

  ArrayDeque<Task> held() {
    return held;
  }

  boolean anyOrdered() {
    return orderedTasks > 0 || workers.anyOrdered();
  }

  /** Whether tasks that are kept may wait for some that workers have. */
  boolean mayWaitForWorkers() {
    return anyOrdered() && !workers.idle();
  }

  /** Whether a task must not reach its unit before others have ended. */
  boolean mustWait(Task task) {
    return (anyOrdered() || task.attribute == Task.ORDERED) && !mayStart(task);
  }

  private boolean mayStart(Task task) {
    return task.attribute == Task.HEAD_OF_QUEUE
        || (!isBehind(withoutData, task) && !isBehind(held, task) && !workers.anyBefore(task));
  }

  private static boolean isBehind(ArrayDeque<Task> others, Task task) {
    for (Task other : others) {
      if (other.arrival < task.arrival && other.isOrderedWith(task) && !other.isVoid()) {
        return true;
      }
    }
    return false;
  }

  /** The first that is void or need not wait; null when there is none. */
  @Nullable Task firstThatMayStart(ArrayDeque<Task> among) {
    if (!anyOrdered()) {
      return among.peekFirst();
    }
    for (Task task : among) {
      if (task.isVoid() || mayStart(task)) {
        return task;
      }
    }
    return null;
  }

  /** Keeps a task for {@link #nextInTurn}. */
  void hold(Task task) {
    held.addLast(task);
    begun(task);
  }

  /** A held task that has waited long enough, no longer kept here; null when there is none. */
  @Nullable Task nextInTurn() {
    Task task = firstThatMayStart(held);
    if (task != null) {
      held.remove(task);
      ended(task);
    }
    return task;
  }

  /** A task is kept, here or for its data: the initiator's window shrinks by it. */
  void begun(Task task) {
    window.taskRetained();
    task.unit().taskRetained();
    orderedTasks += task.attribute == Task.ORDERED ? 1 : 0;
  }

  /** A task is no longer kept. */
  void ended(Task task) {
    window.taskEnded();
    task.unit().taskEnded();
    orderedTasks -= task.attribute == Task.ORDERED ? 1 : 0;
  }
}
