"""What is measured: functions of pictures to a number that is made small."""
