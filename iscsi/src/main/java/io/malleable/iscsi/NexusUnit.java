package io.malleable.iscsi;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * One logical unit as one session sees it (I_T_L nexus, SAM-5 4.6.5). The session's thread uses it;
 * other threads raise unit attentions.
 */
final class NexusUnit {
  private final Nexus nexus;
  private final DeviceServer device;
  private final Target target;
  private final int lun;

  /** At most one for each of the 256 identifiers. */
  private final Map<Integer, byte[]> copyResults = new ConcurrentHashMap<>();

  private final AtomicInteger attentions = new AtomicInteger();

  /** PREVENT ALLOW MEDIUM REMOVAL of this nexus (SPC-4 6.17). */
  private volatile boolean preventsRemoval;

  /** Counts the times that every task of this nexus was made void. */
  private volatile int abortGeneration;

  /** The last of those times that another initiator cleared the task set. */
  private int clearedGeneration;

  /** The last of those that this nexus was told of. */
  private int toldGeneration;

  /** Tasks that wait for data or run beside their connection's thread. */
  private final AtomicInteger retainedTasks = new AtomicInteger();

  NexusUnit(Nexus nexus, DeviceServer device, Target target, int lun) {
    this.nexus = nexus;
    this.device = device;
    this.target = target;
    this.lun = lun;
  }

  /** Outcomes of copies that the initiator may still ask for, by list identifier. */
  Map<Integer, byte[]> copyResults() {
    return copyResults;
  }

  Nexus nexus() {
    return nexus;
  }

  DeviceServer device() {
    return device;
  }

  Target target() {
    return target;
  }

  int lun() {
    return lun;
  }

  void raise(UnitAttention attention) {
    attentions.getAndUpdate(bits -> bits | attention.bit());
  }

  boolean hasAttention() {
    return attentions.get() != 0;
  }

  /** The most important condition, which is then cleared. */
  @Nullable UnitAttention takeAttention() {
    int bits = attentions.get();
    if (bits == 0) {
      return null;
    }
    UnitAttention first = UnitAttention.first(bits);
    attentions.getAndUpdate(pending -> pending & ~first.bit());
    return first;
  }

  void clearAttention(UnitAttention attention) {
    attentions.getAndUpdate(pending -> pending & ~attention.bit());
  }

  int abortGeneration() {
    return abortGeneration;
  }

  /** Tasks that began before this are void; they end without a status. */
  synchronized void abortTasks() {
    abortGeneration++;
  }

  /**
   * CLEAR TASK SET of another initiator (SAM-5 7.5). Only a nexus that loses tasks is told; one
   * that its connection's thread executes just now tells by {@link #noticeAbort}.
   */
  synchronized void clearTasks() {
    clearedGeneration = abortGeneration + 1;
    abortGeneration = clearedGeneration;
    if (retainedTasks.get() > 0) {
      tellOfClearing();
    }
  }

  /** A task was found void. */
  synchronized void noticeAbort(Task task) {
    if (clearedGeneration - task.abortGeneration > 0 && toldGeneration != clearedGeneration) {
      tellOfClearing();
    }
  }

  private void tellOfClearing() {
    toldGeneration = clearedGeneration;
    raise(UnitAttention.COMMANDS_CLEARED);
  }

  void taskRetained() {
    retainedTasks.incrementAndGet();
  }

  void taskEnded() {
    retainedTasks.decrementAndGet();
  }

  boolean preventsRemoval() {
    return preventsRemoval;
  }

  void preventRemoval(boolean prevent) {
    preventsRemoval = prevent;
  }
}
