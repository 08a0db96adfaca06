# What a job's batch script does once srun has ended: queue this task again if the run asks for it
# (sgg/runs/requeue.py). Here and not in the run, which may be in a container that has no Slurm.
# RUN_DIR is set; the first line sees srun's exit code.
code=$?
trap '' TERM USR2  # Slurm signals this shell, too, when it ends the job that it has queued again
# ARRAY_INDEX names one task. The last task's SLURM_JOB_ID is the array's, and means all tasks to scontrol.
task="${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
request="$RUN_DIR/requeue.$task"
[ -e "$request" ] || exit "$code"
{ read -r why; read -r exclude; } < "$request"
rm "$request"
if [ "$why" = SIGTERM ]; then  # which comes with what ends the job, and with a preemption without a warning
    case "$(scontrol show job --oneliner "$task")" in
        *" JobState=RUNNING "*" PreemptTime="[0-9]*) ;;
        # a code of its own before Slurm has ended it would make it a failed job
        *" JobState=RUNNING "* | "") sleep 120; exit 143 ;;
        *) exit 143 ;;  # it was cancelled, or Slurm has queued it again
    esac
fi
scontrol requeue "$task" 2> "$RUN_DIR/requeue.refused" || exit 1
rm "$RUN_DIR/requeue.refused"
echo "Job $task is queued again after $why."
if [ -n "$exclude" ]; then  # which only a job that waits can be told, and from now on this one waits
    scontrol update JobId="$task" ExcNodeList="$exclude" && echo "It keeps away from $exclude."
fi
exit 0
